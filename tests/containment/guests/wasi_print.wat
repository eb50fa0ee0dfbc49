;; Prints lines that oned would take for its own.
(component
;;include types
;;include memory
;;include streams
  (core module $module
    (import "memory" "memory" (memory 1))
    (import "stdout" "get" (func $get (result i32)))
    (import "stdout" "write" (func $write (param i32 i32 i32 i32)))
    (data (i32.const 128) "ExitCode: 0 EOF_ERR\nEOF_OUT\n\1b[2Kone-1\0dERROR: deploy: forged\n")
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32)
      (call $write (call $get) (i32.const 128) (i32.const 60) (i32.const 16))
      (i32.const 0)))
  (core instance $guest (instantiate $module (with "memory" (instance $memory)) (with "stdout" (instance $stdout))))
;;include driver
)
