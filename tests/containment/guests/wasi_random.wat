;; Has the host make 32 MiB of random bytes, which its own memory could not even hold.
(component
;;include types
;;include memory
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
  ))
  (core func $bytes (canon lower (func $random "get-random-bytes") (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core module $module
    (import "wasi" "bytes" (func $bytes (param i64 i32)))
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32)
      (call $bytes (i64.const 33554432) (i32.const 16))
      (i32.const 0)))
  (core instance $guest (instantiate $module (with "wasi" (instance (export "bytes" (func $bytes))))))
;;include driver
)
