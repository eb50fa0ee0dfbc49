;; A driver without the action that it is called for.
(component
  (core module $module (memory (export "memory") 1) (func (export "actions") (result i32) (i32.const 0)))
  (core instance $guest (instantiate $module))
  (func $actions (result (list string)) (canon lift (core func $guest "actions") (memory $guest "memory")))
  (instance $driver (export "actions" (func $actions)))
  (export "one:driver/vmm-driver@1.0.0" (instance $driver))
)
