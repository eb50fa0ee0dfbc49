//! Looks at and converts every image that it is given.

use containment_guests::tell;
use remotes_sdk::{Failure, at, image};

containment_guests::reboot!(convert);

fn convert(format: &str, target: &str, images: &str) -> Result<(), Failure> {
    for path in images.split('\n') {
        tell("inspect", image::inspect(&at(path)));
        tell("convert", image::convert(&at(path), format, &at(target), "raw"));
    }
    Ok(())
}
