//! One certificate from an ACME server, from the account to the chain.
//!
//! Depends on instant-acme, which knows the protocol, and on `wire`, which bounds it. The caller sets the deadline.

use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount,
    NewOrder, Order, OrderStatus,
};
use tokio::time::sleep;
use zeroize::Zeroizing;

use super::challenges::Challenges;
use super::folder::{Folder, Kept};
use super::trouble::Trouble;
use super::wire::Wire;
use crate::relay::config::AcmeConfig;

/// How often a request is sent again whose nonce the server does not like, beside what the library does.
const NONCES: u32 = 5;
/// Between two looks at an order; longer each time.
const FIRST_LOOK: Duration = Duration::from_millis(500);
const LAST_LOOK: Duration = Duration::from_secs(10);

/// Sends a request again as long as only its nonce is to blame: that is no answer to what was asked.
macro_rules! asked {
    ($request:expr) => {{
        let mut left = NONCES;
        loop {
            match $request.await {
                Err(error) if left > 0 && is_of_the_nonce(&error) => left -= 1,
                answered => break answered,
            }
        }
    }};
}

fn is_of_the_nonce(error: &Error) -> bool {
    let Error::Api(problem) = error else { return false };
    problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:badNonce")
}

/// What an order needs.
pub(super) struct Desk<'a> {
    pub(super) config: &'a AcmeConfig,
    pub(super) folder: &'a Folder,
    pub(super) challenges: &'a Challenges,
    pub(super) wire: &'a Wire,
}

impl Desk<'_> {
    /// Gets a certificate for all names: its chain, and then its key.
    pub(super) async fn order(&self) -> Result<Zeroizing<String>, Trouble> {
        let account = self.account().await?;
        let names: Vec<Identifier> =
            self.config.domains.iter().cloned().map(Identifier::Dns).collect();
        let mut order = asked!(account.new_order(&NewOrder::new(&names)))?;
        self.prove(&mut order).await?;
        if self.look_until(&mut order, OrderStatus::Ready).await? != OrderStatus::Valid {
            self.challenges.clear();
        }
        let key = Zeroizing::new(asked!(order.finalize())?);
        self.look_until(&mut order, OrderStatus::Valid).await?;
        let chain = asked!(order.certificate())?.ok_or(Trouble::GivenUp)?;
        Ok(Zeroizing::new(format!("{}\n{}", chain.trim_end(), *key)))
    }

    /// The account that there is, or a new one.
    async fn account(&self) -> Result<Account, Trouble> {
        let builder = || Account::builder_with_http(Box::new(self.wire.clone()));
        if let Some(stored) = self.folder.read(Kept::Account).map_err(Trouble::Folder)? {
            let credentials = credentials(&stored, &self.config.directory)?;
            return Ok(builder().from_credentials(credentials).await?);
        }
        let contact = self.config.contact.as_ref().map(|contact| format!("mailto:{contact}"));
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let new = NewAccount {
            contact: &contact,
            terms_of_service_agreed: self.config.terms_agreed,
            only_return_existing: false,
        };
        let made = asked!(builder().create(&new, self.config.directory.clone(), None));
        let (account, credentials) = made?;
        let text = serde_json::to_string(&credentials).map_err(|_| Trouble::Account)?;
        let text = Zeroizing::new(text);
        self.folder.keep(Kept::Account, text).await.map_err(Trouble::Folder)?;
        Ok(account)
    }

    /// Offers the proofs that the server asks for, and has it look.
    async fn prove(&self, order: &mut Order) -> Result<(), Trouble> {
        read_authorizations(order).await?;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let domain = authorization.identifier().to_string();
            let Some(mut challenge) = authorization.challenge(ChallengeType::Http01) else {
                return Err(Trouble::NoChallenge { domain });
            };
            let proof = challenge.key_authorization();
            if !self.challenges.offer(&challenge.token, proof.as_str()) {
                return Err(Trouble::NoChallenge { domain });
            }
            asked!(challenge.set_ready()).map_err(|error| match error {
                // One that has looked already answers with what it saw.
                Error::Api(problem) => Trouble::Unproven { domain, problem },
                error => error.into(),
            })?;
        }
        Ok(())
    }

    /// Looks at the order until it is so far, or further.
    async fn look_until(
        &self,
        order: &mut Order,
        wanted: OrderStatus,
    ) -> Result<OrderStatus, Trouble> {
        let mut pause = FIRST_LOOK;
        loop {
            let state = asked!(order.refresh())?;
            let (status, problem) = (state.status, state.error.clone());
            match status {
                OrderStatus::Invalid => {
                    let unproven = unproven(order).await?;
                    let refused = problem.map_or(Trouble::GivenUp, Trouble::Refused);
                    return Err(unproven.unwrap_or(refused));
                }
                OrderStatus::Valid => return Ok(status),
                status if status == wanted => return Ok(status),
                _ => {}
            }
            let wish = self.wire.take_wish().map(Duration::from_secs);
            sleep(wish.unwrap_or_default().clamp(pause, LAST_LOOK)).await;
            pause = (pause * 2).min(LAST_LOOK);
        }
    }
}

/// Reads what the server wants proven. One that cannot be read is passed over by the next look at the list, so that begins
/// anew.
async fn read_authorizations(order: &mut Order) -> Result<(), Error> {
    let mut left = NONCES;
    'anew: loop {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            match authorization.map(drop) {
                Err(error) if left > 0 && is_of_the_nonce(&error) => {
                    left -= 1;
                    continue 'anew;
                }
                read => read?,
            }
        }
        return Ok(());
    }
}

/// The first name whose proof the server did not find, and why.
async fn unproven(order: &mut Order) -> Result<Option<Trouble>, Error> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        let domain = authorization.identifier().to_string();
        let state = asked!(authorization.refresh())?;
        let problem = state.challenges.iter().find_map(|challenge| challenge.error.clone());
        if let Some(problem) = problem {
            return Ok(Some(Trouble::Unproven { domain, problem }));
        }
    }
    Ok(None)
}

/// What was stored, if it is of this server.
fn credentials(stored: &str, directory: &str) -> Result<AccountCredentials, Trouble> {
    #[derive(serde::Deserialize)]
    struct Whose {
        directory: String,
    }
    let whose: Whose = serde_json::from_str(stored).map_err(|_| Trouble::Account)?;
    if whose.directory != directory {
        return Err(Trouble::Account);
    }
    serde_json::from_str(stored).map_err(|_| Trouble::Account)
}
