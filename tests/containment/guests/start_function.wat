;; Loops in the start function of its core module, before anything was called.
(component
;;include types
;;include memory
  (core module $module
    (func $spin (loop $again (br $again)))
    (start $spin)
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $guest (instantiate $module))
;;include driver
)
