;; Exports the driver's interface in a version that is yet to come.
(component
  (core module $module (func (export "actions") (result i32) (i32.const 0)))
  (core instance $guest (instantiate $module))
  (func $actions (result u32) (canon lift (core func $guest "actions")))
  (instance $driver (export "actions" (func $actions)))
  (export "one:driver/vmm-driver@2.0.0" (instance $driver))
)
