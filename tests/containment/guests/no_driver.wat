;; A component, but no driver.
(component
  (core module $module (func (export "main") (result i32) (i32.const 42)))
  (core instance $guest (instantiate $module))
  (func (export "main") (result u32) (canon lift (core func $guest "main")))
)
