;; Logs a string of which the last byte lies outside its memory.
(component
;;include types
;;include memory
;;include log
  (core module $module
    (import "log" "write" (func $write (param i32 i32 i32)))
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32)
      (call $write (i32.const 1) (i32.const 65500) (i32.const 37))
      (i32.const 0)))
  (core instance $guest (instantiate $module (with "log" (instance $log))))
;;include driver
)
