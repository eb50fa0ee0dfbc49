;; Exits, with success.
(component
;;include types
;;include memory
  (import "wasi:cli/exit@0.2.0" (instance $exits (export "exit" (func (param "status" (result))))))
  (core func $exit (canon lower (func $exits "exit")))
  (core module $module
    (import "wasi" "exit" (func $exit (param i32)))
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32)
      (call $exit (i32.const 0))
      (i32.const 0)))
  (core instance $guest (instantiate $module (with "wasi" (instance (export "exit" (func $exit))))))
;;include driver
)
