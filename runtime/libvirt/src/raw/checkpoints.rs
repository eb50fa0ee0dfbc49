//! Checkpoints.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::{ptr, slice};

use virt::domain::Domain;
use virt::error::Error;
use virt::sys;

use super::{counted, done};

/// A checkpoint of a domain, given back when dropped.
pub(crate) struct Checkpoint<'a> {
    pointer: sys::virDomainCheckpointPtr,
    domain: PhantomData<&'a Domain>,
}

impl<'a> Checkpoint<'a> {
    /// virDomainCheckpointLookupByName
    pub fn find(domain: &'a Domain, name: &CStr) -> Result<Self, Error> {
        // SAFETY: the domain is valid while it is borrowed, the name is a C string.
        Self::owned(unsafe { sys::virDomainCheckpointLookupByName(domain.as_ptr(), name.as_ptr(), 0) })
    }

    /// virDomainCheckpointCreateXML
    pub fn create(domain: &'a Domain, xml: &CStr, flags: sys::virDomainCheckpointCreateFlags) -> Result<Self, Error> {
        // SAFETY: the domain is valid while it is borrowed, the XML is a C string.
        Self::owned(unsafe { sys::virDomainCheckpointCreateXML(domain.as_ptr(), xml.as_ptr(), flags) })
    }

    /// virDomainListAllCheckpoints, parents before their children.
    pub fn all(domain: &'a Domain) -> Result<Vec<Self>, Error> {
        let mut list: *mut sys::virDomainCheckpointPtr = ptr::null_mut();
        let flags = sys::VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL;
        // SAFETY: the domain is valid while it is borrowed, `list` is a place for the array that libvirt
        // allocates.
        let count = counted(unsafe { sys::virDomainListAllCheckpoints(domain.as_ptr(), &mut list, flags) })?;
        if list.is_null() {
            return Ok(Vec::new());
        }
        // SAFETY: libvirt said that so many pointers are there, each of them ours now.
        let all = unsafe { slice::from_raw_parts(list, count as usize) };
        let all = all.iter().map(|pointer| Self { pointer: *pointer, domain: PhantomData }).collect();
        // SAFETY: the array was allocated with the C library's allocator for us to free; the checkpoints in
        // it are held by `all`.
        unsafe { libc::free(list.cast()) };
        Ok(all)
    }

    fn owned(pointer: sys::virDomainCheckpointPtr) -> Result<Self, Error> {
        if pointer.is_null() { Err(Error::last_error()) } else { Ok(Self { pointer, domain: PhantomData }) }
    }

    /// virDomainCheckpointGetName
    pub fn name(&self) -> Result<String, Error> {
        // SAFETY: the checkpoint is ours until it is dropped.
        let name = unsafe { sys::virDomainCheckpointGetName(self.pointer) };
        if name.is_null() {
            return Err(Error::last_error());
        }
        // SAFETY: a C string that is the checkpoint's, copied at once.
        Ok(unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned())
    }

    /// virDomainCheckpointGetXMLDesc
    pub fn xml(&self) -> Result<String, Error> {
        // SAFETY: the checkpoint is ours until it is dropped.
        let xml = unsafe { sys::virDomainCheckpointGetXMLDesc(self.pointer, 0) };
        if xml.is_null() {
            return Err(Error::last_error());
        }
        // SAFETY: a C string that was allocated for us.
        let copy = unsafe { CStr::from_ptr(xml) }.to_string_lossy().into_owned();
        // SAFETY: it came from the C library's allocator, and nothing refers to it any more.
        unsafe { libc::free(xml.cast()) };
        Ok(copy)
    }

    /// virDomainCheckpointDelete
    pub fn delete(&self, flags: sys::virDomainCheckpointDeleteFlags) -> Result<(), Error> {
        // SAFETY: the checkpoint is ours until it is dropped.
        done(unsafe { sys::virDomainCheckpointDelete(self.pointer, flags) })
    }
}

impl Drop for Checkpoint<'_> {
    fn drop(&mut self) {
        // SAFETY: it is ours, and this is the last use.
        unsafe { sys::virDomainCheckpointFree(self.pointer) };
    }
}
