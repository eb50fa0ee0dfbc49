;; Imports a function that a known capability does not have.
(component
;;include types
;;include memory
  (import "one:driver/clock@1.0.0" (instance
    (export "now" (func (result u64)))
    (export "set" (func (param "seconds" u64)))))
  (core module $module
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $guest (instantiate $module))
;;include driver
)
