;; Prints without end.
(component
;;include types
;;include memory
;;include streams
  (core module $module
    (import "memory" "memory" (memory 1))
    (import "stdout" "get" (func $get (result i32)))
    (import "stdout" "write" (func $write (param i32 i32 i32 i32)))
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32)
      (local $stream i32)
      (local.set $stream (call $get))
      (memory.fill (i32.const 128) (i32.const 120) (i32.const 4096))
      (loop $again
        (call $write (local.get $stream) (i32.const 128) (i32.const 4096) (i32.const 16))
        (br $again))
      (unreachable)))
  (core instance $guest (instantiate $module (with "memory" (instance $memory)) (with "stdout" (instance $stdout))))
;;include driver
)
