;; Returns a list of 100,000 strings of 64 KiB, all of which are the same bytes: 6 GB from 1 MB.
(component
  (core module $module
    (memory (export "memory") 16)
    (func (export "actions") (result i32)
      (local $at i32)
      (local.set $at (i32.const 16))
      (loop $again
        (i32.store (local.get $at) (i32.const 900000))
        (i32.store offset=4 (local.get $at) (i32.const 65536))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $again (i32.lt_u (local.get $at) (i32.const 800016))))
      (i32.store (i32.const 0) (i32.const 16))
      (i32.store (i32.const 4) (i32.const 100000))
      (i32.const 0)))
  (core instance $guest (instantiate $module))
  (func $actions (result (list string)) (canon lift (core func $guest "actions") (memory $guest "memory")))
  (instance $driver (export "actions" (func $actions)))
  (export "one:driver/vmm-driver@1.0.0" (instance $driver))
)
