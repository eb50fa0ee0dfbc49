;; Ten instances with 10 MiB each: no memory is too large, all together are.
(component
;;include types
;;include memory
  (core module $ten (memory 160))
  (core instance (instantiate $ten)) (core instance (instantiate $ten))
  (core instance (instantiate $ten)) (core instance (instantiate $ten))
  (core instance (instantiate $ten)) (core instance (instantiate $ten))
  (core instance (instantiate $ten)) (core instance (instantiate $ten))
  (core instance (instantiate $ten)) (core instance (instantiate $ten))
  (core module $module
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $guest (instantiate $module))
;;include driver
)
