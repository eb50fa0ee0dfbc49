//! The documents that oned sends along.

use crate::Failure;
use crate::xml::{Document, Element};

/// `VMM_DRIVER_ACTION_DATA`: the virtual machine, the system datastore and the action's own values.
pub struct Action<'a>(Document<'a>);

impl<'a> Action<'a> {
    /// Parses the document that a driver's function gets as `action`.
    pub fn parse(text: &'a str) -> Result<Self, Failure> {
        let document = Document::parse(text)?;
        match document.root().name() {
            "VMM_DRIVER_ACTION_DATA" => Ok(Self(document)),
            other => Err(Failure::invalid(format!("action data: expected <VMM_DRIVER_ACTION_DATA>, found <{other}>"))),
        }
    }

    /// The virtual machine's id.
    pub fn vm_id(&self) -> Result<u32, Failure> {
        let id = self.text("VM/ID").unwrap_or_default();
        id.parse().map_err(|_| Failure::invalid(format!("action data: VM/ID is {id:?}, expected a number")))
    }

    /// A value below the root: `DATASTORE/TM_MAD`, `DISK_TARGET_PATH`.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.0.text(path)
    }

    /// A value of the virtual machine's template: `MEMORY`, `FEATURES/GUEST_AGENT`.
    pub fn template(&self, path: &str) -> Option<&str> {
        self.0.first("VM/TEMPLATE")?.text(path)
    }

    /// The elements of one kind in the virtual machine's template: `DISK`, `NIC`, `PCI`.
    pub fn devices(&self, kind: &str) -> Vec<Element<'_, 'a>> {
        self.0.first("VM/TEMPLATE").map(|template| template.elements(kind)).unwrap_or_default()
    }

    /// The device that is to be attached or detached: the one of its kind with `ATTACH="YES"`.
    pub fn attached(&self, kind: &str) -> Option<Element<'_, 'a>> {
        self.devices(kind).into_iter().find(|device| device.text("ATTACH") == Some("YES"))
    }

    /// The virtual machine's folder: below the system datastore, by its id.
    pub fn directory(&self) -> Option<String> {
        Some(format!("{}/{}", self.text("DATASTORE/BASE_PATH")?.trim_end_matches('/'), self.vm_id().ok()?))
    }
}
