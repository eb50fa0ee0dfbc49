;; Looks for environment, arguments, a working directory, granted folders; traps where it finds any.
(component
;;include types
;;include memory
  (import "wasi:cli/environment@0.2.0" (instance $surroundings
    (export "get-environment" (func (result (list (tuple string string)))))
    (export "get-arguments" (func (result (list string))))
    (export "initial-cwd" (func (result (option string))))
  ))
  (import "wasi:filesystem/types@0.2.0" (instance $files (export "descriptor" (type (sub resource)))))
  (alias export $files "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $folders
    (alias outer 1 $descriptor (type $descriptor'))
    (export "descriptor" (type $descriptor'' (eq $descriptor')))
    (export "get-directories" (func (result (list (tuple (own $descriptor'') string)))))
  ))
  (core func $environment (canon lower (func $surroundings "get-environment") (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core func $arguments (canon lower (func $surroundings "get-arguments") (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core func $cwd (canon lower (func $surroundings "initial-cwd") (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core func $directories (canon lower (func $folders "get-directories") (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core module $module
    (import "memory" "memory" (memory 1))
    (import "wasi" "environment" (func $environment (param i32)))
    (import "wasi" "arguments" (func $arguments (param i32)))
    (import "wasi" "cwd" (func $cwd (param i32)))
    (import "wasi" "directories" (func $directories (param i32)))
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32)
      (call $environment (i32.const 16))
      (if (i32.load (i32.const 20)) (then (unreachable)))
      (call $arguments (i32.const 16))
      (if (i32.load (i32.const 20)) (then (unreachable)))
      (call $directories (i32.const 16))
      (if (i32.load (i32.const 20)) (then (unreachable)))
      (call $cwd (i32.const 16))
      (if (i32.load8_u (i32.const 16)) (then (unreachable)))
      (i32.const 0)))
  (core instance $guest (instantiate $module (with "memory" (instance $memory)) (with "wasi" (instance
    (export "environment" (func $environment)) (export "arguments" (func $arguments)) (export "cwd" (func $cwd))
    (export "directories" (func $directories))))))
;;include driver
)
