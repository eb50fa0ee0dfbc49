;; Makes sockets (access-denied expected) and looks a name up (permanent-resolver-failure); traps where
;; something else comes of it.
(component
;;include types
;;include memory
  (import "wasi:sockets/network@0.2.0" (instance $network
    (export "network" (type (sub resource)))
    (type $codes (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
      "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable"
      "address-in-use" "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted"
      "datagram-too-large" "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
    (export "error-code" (type (eq $codes)))
    (type $families (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type (eq $families)))
  ))
  (alias export $network "network" (type $net))
  (alias export $network "error-code" (type $code))
  (alias export $network "ip-address-family" (type $family))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
  (alias export $tcp "tcp-socket" (type $tcp-socket))
  (import "wasi:sockets/udp@0.2.0" (instance $udp (export "udp-socket" (type (sub resource)))))
  (alias export $udp "udp-socket" (type $udp-socket))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $make-tcp
    (alias outer 1 $code (type $c)) (export "error-code" (type $code (eq $c)))
    (alias outer 1 $family (type $f)) (export "ip-address-family" (type $family (eq $f)))
    (alias outer 1 $tcp-socket (type $s)) (export "tcp-socket" (type $socket (eq $s)))
    (export "create-tcp-socket" (func (param "address-family" $family) (result (result (own $socket) (error $code)))))
  ))
  (import "wasi:sockets/udp-create-socket@0.2.0" (instance $make-udp
    (alias outer 1 $code (type $c)) (export "error-code" (type $code (eq $c)))
    (alias outer 1 $family (type $f)) (export "ip-address-family" (type $family (eq $f)))
    (alias outer 1 $udp-socket (type $s)) (export "udp-socket" (type $socket (eq $s)))
    (export "create-udp-socket" (func (param "address-family" $family) (result (result (own $socket) (error $code)))))
  ))
  (import "wasi:sockets/instance-network@0.2.0" (instance $instance-network
    (alias outer 1 $net (type $n)) (export "network" (type $net (eq $n)))
    (export "instance-network" (func (result (own $net))))
  ))
  (import "wasi:sockets/ip-name-lookup@0.2.0" (instance $lookup
    (alias outer 1 $net (type $n)) (export "network" (type $net (eq $n)))
    (alias outer 1 $code (type $c)) (export "error-code" (type $code (eq $c)))
    (export "resolve-address-stream" (type $stream (sub resource)))
    (export "resolve-addresses"
      (func (param "network" (borrow $net)) (param "name" string) (result (result (own $stream) (error $code)))))
  ))
  (core func $tcp (canon lower (func $make-tcp "create-tcp-socket") (memory $memory "memory")))
  (core func $udp (canon lower (func $make-udp "create-udp-socket") (memory $memory "memory")))
  (core func $net (canon lower (func $instance-network "instance-network")))
  (core func $resolve (canon lower (func $lookup "resolve-addresses") (memory $memory "memory")))
  (core module $module
    (import "memory" "memory" (memory 1))
    (import "wasi" "tcp" (func $tcp (param i32 i32)))
    (import "wasi" "udp" (func $udp (param i32 i32)))
    (import "wasi" "net" (func $net (result i32)))
    (import "wasi" "resolve" (func $resolve (param i32 i32 i32 i32)))
    (data (i32.const 128) "localhost")
    (func $refused (param $code i32)
      (if (i32.ne (i32.load8_u (i32.const 16)) (i32.const 1)) (then (unreachable)))
      (if (i32.ne (i32.load8_u (i32.const 20)) (local.get $code)) (then (unreachable))))
    (func (export "reboot") (param i32 i32 i32 i32 i32 i32) (result i32)
      (call $tcp (i32.const 0) (i32.const 16))
      (call $refused (i32.const 1))
      (call $udp (i32.const 1) (i32.const 16))
      (call $refused (i32.const 1))
      (call $resolve (call $net) (i32.const 128) (i32.const 9) (i32.const 16))
      (call $refused (i32.const 20))
      (i32.const 0)))
  (core instance $guest (instantiate $module (with "memory" (instance $memory)) (with "wasi" (instance
    (export "tcp" (func $tcp)) (export "udp" (func $udp)) (export "net" (func $net)) (export "resolve" (func $resolve))))))
;;include driver
)
