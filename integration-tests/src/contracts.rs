//! What the contracts say: which services there are, their methods, and which of these are commands.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// A method of a service.
#[derive(Clone, Debug)]
pub struct Method {
    /// As the contract names it, such as `RegisterElder`.
    pub name: String,
    /// Whether it reads a stream of messages.
    pub reads_a_stream: bool,
    /// Whether its request bears the id by which a retry is known again.
    pub is_command: bool,
}

impl Method {
    /// Its name as the clients made from the contract have it, such as `register_elder`.
    pub fn function(&self) -> String {
        let mut name = String::new();
        for letter in self.name.chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}

/// All services by their full names.
pub fn services() -> BTreeSet<String> {
    let contracts = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut names = BTreeSet::new();
    for contract in &contracts.file {
        let package = contract.package();
        let services = contract.service.iter();
        names.extend(services.map(|service| format!("{package}.{}", service.name())));
    }
    names
}

/// The methods of a service, such as `eldercare.visits.v1.VisitService`.
pub fn methods(service: &str) -> Vec<Method> {
    let contracts = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let has_request_id = |message: &str| {
        contracts.file.iter().any(|contract| {
            contract.message_type.iter().any(|kind| {
                let mut fields = kind.field.iter();
                message == format!(".{}.{}", contract.package(), kind.name())
                    && fields.any(|field| field.name() == "request_id")
            })
        })
    };
    let mut methods = Vec::new();
    for contract in &contracts.file {
        for one in &contract.service {
            if service == format!("{}.{}", contract.package(), one.name()) {
                methods.extend(one.method.iter().map(|method| Method {
                    name: method.name().to_owned(),
                    reads_a_stream: method.client_streaming(),
                    is_command: has_request_id(method.input_type()),
                }));
            }
        }
    }
    assert!(!methods.is_empty(), "there is no service {service}");
    methods
}
