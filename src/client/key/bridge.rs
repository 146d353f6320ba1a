//! From a program's request to the phone and back.
//!
//! Depends on siblings in `client`, on `ctap` and `uhid`.

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep_until};

use super::plan::{self, Plan};
use super::wanted::Wanted;
use crate::client::ceremony::Error;
use crate::client::service::{About, Carrier, Purpose, Service};
use crate::ctap::hid::{ChannelId, MAX_CHANNELS};
use crate::ctap::{Command, CredentialDescriptor, GetAssertionRequest, Status, respond};
use crate::uhid::Device;
use crate::uhid::host::{Host, Job, Sign};

/// How long a request may take, from the code to the answer.
const TIMEOUT: Duration = Duration::from_secs(300);
/// How long a phone that was fetched for a look waits for what the program does next.
const NEXT: Duration = Duration::from_secs(30);
/// How long a program may wait for somebody to say that this key is meant.
const TOUCH: Duration = Duration::from_secs(30);

/// What is remembered between a program's requests.
pub(super) struct Bridge {
    service: Service,
    parked: Option<Parked>,
    /// What a program looked for last, whole: browsers then name one passkey only, and the phone is to
    /// see all.
    looked: BTreeMap<ChannelId, Looked>,
}

/// A phone that is there, for what comes next.
struct Parked {
    channel: ChannelId,
    rp_id: String,
    carrier: Carrier,
    /// Answers that the program may still ask for.
    further: u64,
    until: Instant,
}

struct Looked {
    rp_id: String,
    list: Vec<CredentialDescriptor>,
}

/// What came of showing a code.
enum Fetched {
    /// The phone is there.
    Here(Carrier),
    /// Nobody waits for it any more.
    Unwanted,
    /// Somebody who watches said no.
    Declined,
    /// None came, or it could not be reached.
    Failed,
}

impl Bridge {
    pub(super) fn new(service: Service) -> Self {
        Self { service, parked: None, looked: BTreeMap::new() }
    }

    /// Lets go of a phone that waits, and forgets what was looked for.
    pub(super) fn hang_up(&mut self) {
        self.parked = None;
        self.looked.clear();
    }

    /// Waits until a phone that waits has to be let go of, and lets go.
    pub(super) async fn ends(&mut self) {
        let Some(parked) = &mut self.parked else { return std::future::pending().await };
        let error = tokio::select! {
            error = parked.carrier.ends() => Some(error),
            () = sleep_until(parked.until) => None,
        };
        match (self.parked.take(), error) {
            (Some(parked), Some(error)) => drop(parked.carrier.fail(error).await),
            (parked, _) => drop(parked),
        }
    }

    /// Answers one request, unless its program goes away meanwhile.
    pub(super) async fn answer<D: Device, P: FnMut(Sign)>(
        &mut self,
        host: &mut Host<D, P>,
        job: &Job,
        planned: Plan,
    ) -> Result<(), crate::uhid::Error> {
        let wanted = match planned {
            Plan::Refuse(status) => return refuse(host, job, status),
            Plan::Touch => {
                let touched = self.service.select(TOUCH);
                let Some(touched) = host.while_wanted(touched).await? else { return Ok(()) };
                let status = match touched {
                    // A registration that only asks for a touch cannot succeed in any other way.
                    true if job.is_touch() => Status::PIN_NOT_SET,
                    true => Status::OK,
                    false => Status::USER_ACTION_TIMEOUT,
                };
                return refuse(host, job, status);
            }
            Plan::Look(request) => return self.look(host, job, request).await,
            Plan::Next => return self.next(host, job).await,
            Plan::Make(request) => Wanted::Make(request),
            Plan::Sign(request) => Wanted::Sign(request),
        };
        self.ask(host, job, wanted).await
    }

    /// Whether passkeys are there: the receipts know, or the phone is fetched.
    async fn look<D: Device, P: FnMut(Sign)>(
        &mut self,
        host: &mut Host<D, P>,
        job: &Job,
        request: GetAssertionRequest,
    ) -> Result<(), crate::uhid::Error> {
        let GetAssertionRequest { rp_id, allow_list, .. } = request;
        // Which accounts a phone has for a site, nobody is told without its user.
        let Some(first) = allow_list.first().cloned() else {
            return refuse(host, job, Status::NO_CREDENTIALS);
        };
        let carried = self.service.carried(&rp_id).await;
        let known = allow_list.iter().find(|passkey| carried.contains(&passkey.id)).cloned();
        let there = match known {
            Some(known) => known,
            None => {
                host.needs_user(job)?;
                let about = About::new(Purpose::SignIn, &rp_id, "");
                match self.fetch(host, about).await? {
                    Fetched::Unwanted => return Ok(()),
                    Fetched::Here(carrier) => self.park(job, rp_id.clone(), carrier, 0),
                    // Whoever says no says that it is not there.
                    Fetched::Declined => return refuse(host, job, Status::NO_CREDENTIALS),
                    Fetched::Failed => return refuse(host, job, Status::USER_ACTION_TIMEOUT),
                }
                first
            }
        };
        if self.looked.len() >= MAX_CHANNELS {
            self.looked.clear();
        }
        let looked = Looked { rp_id: rp_id.clone(), list: allow_list };
        self.looked.insert(job.channel(), looked);
        let hash = Sha256::digest(rp_id.as_bytes()).into();
        host.answer(job, &respond(Ok(plan::found(hash, there)))).map(drop)
    }

    /// Shows a code and waits for a phone.
    async fn fetch<D: Device, P: FnMut(Sign)>(
        &mut self,
        host: &mut Host<D, P>,
        about: About,
    ) -> Result<Fetched, crate::uhid::Error> {
        // One too many, or the end of the service.
        let way = self.service.usual_way().await;
        let Ok(mut carrier) = self.service.carry_by(way, about, TIMEOUT) else {
            return Ok(Fetched::Failed);
        };
        Ok(match host.while_wanted(carrier.ready()).await? {
            None => Fetched::Unwanted,
            Some(Ok(_)) => Fetched::Here(carrier),
            // What it was is told to everybody who watches.
            Some(Err(error)) => match carrier.fail(error).await.cause() {
                "cancelled" => Fetched::Declined,
                _ => Fetched::Failed,
            },
        })
    }

    async fn ask<D: Device, P: FnMut(Sign)>(
        &mut self,
        host: &mut Host<D, P>,
        job: &Job,
        mut wanted: Wanted,
    ) -> Result<(), crate::uhid::Error> {
        if let Some(looked) = self.looked.remove(&job.channel())
            && looked.rp_id == wanted.rp_id()
        {
            *wanted.list() = looked.list;
        }
        let waiting = self
            .parked
            .take_if(|parked| parked.channel == job.channel() && parked.rp_id == wanted.rp_id());
        let mut carrier = match waiting {
            Some(parked) => parked.carrier,
            None => match self.fetch(host, wanted.about()).await? {
                Fetched::Unwanted => return Ok(()),
                Fetched::Here(carrier) => carrier,
                Fetched::Declined | Fetched::Failed => {
                    return refuse(host, job, Status::USER_ACTION_TIMEOUT);
                }
            },
        };
        let reply = host.while_wanted(carrier.call(wanted.encode())).await?;
        let rp_id = wanted.rp_id().to_owned();
        self.conclude(host, job, carrier, rp_id, reply).await
    }

    /// The next account of a sign-in, over the same connection.
    async fn next<D: Device, P: FnMut(Sign)>(
        &mut self,
        host: &mut Host<D, P>,
        job: &Job,
    ) -> Result<(), crate::uhid::Error> {
        let parked = self.parked.take_if(|p| p.channel == job.channel() && p.further > 0);
        let Some(Parked { mut carrier, rp_id, further, .. }) = parked else {
            return refuse(host, job, Status::NOT_ALLOWED);
        };
        let message = vec![Command::GetNextAssertion as u8];
        let reply = host.while_wanted(carrier.call(message)).await?;
        match reply {
            Some(Ok(reply)) if further > 1 => {
                self.park(job, rp_id, carrier, further - 1);
                host.answer(job, &plan::over_hid(reply)).map(drop)
            }
            reply => self.conclude(host, job, carrier, rp_id, reply).await,
        }
    }

    /// Hands the answer over and takes leave of the phone, unless there is more to ask for.
    async fn conclude<D: Device, P: FnMut(Sign)>(
        &mut self,
        host: &mut Host<D, P>,
        job: &Job,
        carrier: Carrier,
        rp_id: String,
        reply: Option<Result<Vec<u8>, Error>>,
    ) -> Result<(), crate::uhid::Error> {
        let reply = match reply {
            // Let go of, it is withdrawn.
            None => return Ok(()),
            Some(Ok(reply)) => reply,
            Some(Err(error)) => {
                let _told_to_everybody = carrier.fail(error).await;
                return refuse(host, job, Status::USER_ACTION_TIMEOUT);
            }
        };
        let further = plan::further(&reply);
        if reply.first() == Some(&Status::OK.0) {
            carrier.answered();
        }
        if host.answer(job, &plan::over_hid(reply))? {
            carrier.taken().await;
        }
        match further {
            // The phone is slow to hang up; programs do not wait for it.
            0 => drop(tokio::spawn(carrier.finish())),
            _ => self.park(job, rp_id, carrier, further),
        }
        Ok(())
    }

    fn park(&mut self, job: &Job, rp_id: String, carrier: Carrier, further: u64) {
        let until = Instant::now() + NEXT;
        self.parked = Some(Parked { channel: job.channel(), rp_id, carrier, further, until });
    }
}

fn refuse<D: Device, P: FnMut(Sign)>(
    host: &mut Host<D, P>,
    job: &Job,
    status: Status,
) -> Result<(), crate::uhid::Error> {
    host.answer(job, &respond(Err(status))).map(drop)
}
