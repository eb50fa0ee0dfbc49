;; Its allocator calls a capability while the host is handing arguments over.
(component
;;include types
  (import "one:driver/clock@1.0.0" (instance $clock (export "now" (func (result u64)))))
  (core func $now (canon lower (func $clock "now")))
  (core module $memory-module
    (import "" "now" (func $now (result i64)))
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (drop (call $now)) (i32.const 1024)))
  (core instance $memory (instantiate $memory-module (with "" (instance (export "now" (func $now))))))
  (core module $module
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $guest (instantiate $module))
;;include driver
)
