//! The computers that the phone remembers.

use super::{Keeper, failed, garbled};
use crate::authenticator::LinkView;
use crate::cli::failure::Failure;
use crate::cli::phone::remote::refused;
use crate::frontend::grpc::read;
use crate::frontend::grpc::v1::{ForgetLinkRequest, ListLinksRequest};

impl Keeper {
    pub(in crate::cli::phone) async fn links(&mut self) -> Result<Vec<LinkView>, Failure> {
        match self {
            Self::Here(vault) => vault.links().await.map_err(|error| failed(&error)),
            Self::There(client) => {
                let answer = client.list_links(ListLinksRequest {}).await;
                let links = answer.map_err(|r| refused(&r))?.into_inner().links;
                let read: Option<_> = links.into_iter().map(read::link).collect();
                read.ok_or_else(garbled)
            }
        }
    }

    pub(in crate::cli::phone) async fn forget_link(&mut self, id: [u8; 8]) -> Result<(), Failure> {
        match self {
            Self::Here(vault) => vault.forget_link(id).await.map_err(|error| failed(&error)),
            Self::There(client) => {
                let request = ForgetLinkRequest { id: id.to_vec() };
                client.forget_link(request).await.map(drop).map_err(|r| refused(&r))
            }
        }
    }
}
