  (import "one:driver/types@1.0.0" (instance $types
    (type $kinds (enum "denied" "invalid" "not-found" "exists" "busy" "timeout" "unavailable" "unsupported" "unknown" "failed"))
    (export "failure-kind" (type $kind (eq $kinds)))
    (type $record (record (field "kind" $kind) (field "message" string)))
    (export "failure" (type (eq $record)))
  ))
  (alias export $types "failure" (type $failure))
