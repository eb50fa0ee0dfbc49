;; Imports a known function with another type.
(component
;;include types
;;include memory
  (import "one:driver/clock@1.0.0" (instance (export "sleep" (func (param "milliseconds" string) (result bool)))))
  (core module $module
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $guest (instantiate $module))
;;include driver
)
