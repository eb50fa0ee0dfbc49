//! Every target on its corpus and on ten seconds (`FUZZ_SECONDS`) of inputs made of it.
#![allow(missing_docs)]

use remotes_fuzz::{TARGETS, generated, target};

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                assert!(generated::run(target(stringify!($name))) > 0);
            }
        )*

        #[test]
        fn none_is_left_out() {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets! { vm_document action_document domain_document settings policy frame arguments component }
