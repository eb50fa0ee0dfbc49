;; Imports a capability that does not exist.
(component
;;include types
;;include memory
  (import "one:driver/shell@1.0.0" (instance (export "run" (func (param "command" string)))))
  (core module $module
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $guest (instantiate $module))
;;include driver
)
