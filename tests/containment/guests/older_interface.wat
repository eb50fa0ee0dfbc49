;; Wants a version from before the first: what was never served must not be linked.
(component
;;include types
;;include memory
  (import "one:driver/clock@0.9.0" (instance (export "now" (func (result u64)))))
  (core module $module
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $guest (instantiate $module))
;;include driver
)
