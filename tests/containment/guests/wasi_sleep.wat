;; Waits for a century inside the host.
(component
;;include types
;;include memory
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
  ))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $p)) (export "pollable" (type $pollable (eq $p)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))
    (export "subscribe-instant" (func (param "when" u64) (result (own $pollable))))
  ))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $duration (canon lower (func $clock "subscribe-duration")))
  (core func $instant (canon lower (func $clock "subscribe-instant")))
  (core module $module
    (import "wasi" "block" (func $block (param i32)))
    (import "wasi" "duration" (func $duration (param i64) (result i32)))
    (import "wasi" "instant" (func $instant (param i64) (result i32)))
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32)
      (call $block (call $duration (i64.const 3153600000000000000)))
      (call $block (call $instant (i64.const 3153600000000000000)))
      (i32.const 0)))
  (core instance $guest (instantiate $module (with "wasi" (instance
    (export "block" (func $block)) (export "duration" (func $duration)) (export "instant" (func $instant))))))
;;include driver
)
