;; Its action takes and returns something else than the contract says.
(component
  (core module $module (func (export "reboot") (param i32) (result i32) (local.get 0)))
  (core instance $guest (instantiate $module))
  (func $reboot (param "deploy-id" u32) (result u32) (canon lift (core func $guest "reboot")))
  (instance $driver (export "reboot" (func $reboot)))
  (export "one:driver/vmm-driver@1.0.0" (instance $driver))
)
