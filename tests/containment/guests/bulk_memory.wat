;; Fills memory again and again, each time in one instruction that nothing interrupts.
(component
;;include types
;;include memory
  (core module $module
    (memory 512)
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32)
      (loop $again
        (memory.fill (i32.const 0) (i32.const 255) (i32.const 33554432))
        (memory.copy (i32.const 16) (i32.const 0) (i32.const 33554416))
        (br $again))
      (unreachable)))
  (core instance $guest (instantiate $module))
;;include driver
)
