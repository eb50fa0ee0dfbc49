;; Logs bytes that are no text: half of a surrogate pair, and a newline spelt too long.
(component
;;include types
;;include memory
;;include log
  (core module $module
    (import "log" "write" (func $write (param i32 i32 i32)))
    (import "memory" "memory" (memory 1))
    (data (i32.const 0) "\ed\a0\80\c0\8a")
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32)
      (call $write (i32.const 1) (i32.const 0) (i32.const 5))
      (i32.const 0)))
  (core instance $guest (instantiate $module (with "log" (instance $log)) (with "memory" (instance $memory))))
;;include driver
)
