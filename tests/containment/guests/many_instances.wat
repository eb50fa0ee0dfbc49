;; A thousand instances in ten lines: components that hold ten of each other.
(component
;;include types
;;include memory
  (component $ten
    (core module $empty)
    (core instance (instantiate $empty)) (core instance (instantiate $empty)) (core instance (instantiate $empty))
    (core instance (instantiate $empty)) (core instance (instantiate $empty)) (core instance (instantiate $empty))
    (core instance (instantiate $empty)) (core instance (instantiate $empty)) (core instance (instantiate $empty))
    (core instance (instantiate $empty)))
  (component $hundred
    (alias outer 1 $ten (component $ten))
    (instance (instantiate $ten)) (instance (instantiate $ten)) (instance (instantiate $ten)) (instance (instantiate $ten))
    (instance (instantiate $ten)) (instance (instantiate $ten)) (instance (instantiate $ten)) (instance (instantiate $ten))
    (instance (instantiate $ten)) (instance (instantiate $ten)))
  (instance (instantiate $hundred)) (instance (instantiate $hundred)) (instance (instantiate $hundred))
  (instance (instantiate $hundred)) (instance (instantiate $hundred)) (instance (instantiate $hundred))
  (instance (instantiate $hundred)) (instance (instantiate $hundred)) (instance (instantiate $hundred))
  (instance (instantiate $hundred))
  (core module $module
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $guest (instantiate $module))
;;include driver
)
