//! Loops in the initialiser that compilers let run before anything else.

use remotes_sdk::Failure;

containment_guests::reboot!(nothing);

#[allow(unsafe_code)]
/// What wit-component has called when the component is instantiated.
#[unsafe(no_mangle)]
pub extern "C" fn _initialize() {
    loop {
        std::hint::spin_loop();
    }
}

fn nothing(_: &str, _: &str, _: &str) -> Result<(), Failure> {
    Ok(())
}
