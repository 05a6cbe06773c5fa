//! Create, read, list, update and delete, written once for every ordinary resource. What is particular to a
//! resource is in its implementation of [`Resource`]: types, names, permissions and hooks.

use std::future::Future;
use std::str::FromStr;

use coder_core::id::Uuid;
use coder_core::{Code, OrganizationId, Permission, Result};
use coder_database::{Change, Entity, Filter, Partition, Record, Repository};
use coder_middleware::answer::Documented;
use coder_middleware::{
    Access as _, Allowed, Body, Created, Example, Filters, IfMatch, Json, List, NoContent, PageOf, Patch,
    Path, State, Unit,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::routes::Routes;

/// The fixed words of a resource.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// For people: `team`.
    pub singular: &'static str,
    /// For people: `teams`.
    pub plural: &'static str,
    /// Below the group's base: `/teams`.
    pub path: &'static str,
    /// One resource, with its parameter: `/teams/{teamId}`.
    pub item: &'static str,
    /// Operation ids: list, create, get, update, delete.
    pub operations: [&'static str; 5],
    /// Event names: created, updated, deleted.
    pub events: [&'static str; 3],
}

/// Declares the words of a resource from its singular and plural.
#[macro_export]
macro_rules! words {
    ($singular:literal, $plural:literal, $path:literal, $parameter:literal, $identifier:ident, $identifiers:ident) => {
        $crate::crud::Words {
            singular: $singular,
            plural: $plural,
            path: $path,
            item: concat!($path, "/{", $parameter, "}"),
            operations: [
                concat!("list_", stringify!($identifiers)),
                concat!("create_", stringify!($identifier)),
                concat!("get_", stringify!($identifier)),
                concat!("update_", stringify!($identifier)),
                concat!("delete_", stringify!($identifier)),
            ],
            events: [
                concat!($singular, ".created"),
                concat!($singular, ".updated"),
                concat!($singular, ".deleted"),
            ],
        }
    };
}

/// An ordinary resource of an organization.
pub trait Resource: Entity + JsonSchema {
    /// The group's service.
    type Service: Clone + Send + Sync + 'static;
    /// What a client may write.
    type Write: Serialize + DeserializeOwned + JsonSchema + Example + Clone + Send + Sync + 'static;
    /// What a client is shown; usually `Record<Self>`.
    type View: Documented + Clone + 'static;
    /// Filters and sort fields of the list.
    type Filters: Filters;
    /// The id in the path.
    type Id: FromStr + ToString + From<Uuid> + Copy + Send + Sync + 'static;
    /// The permission to read.
    type Read: Permission;
    /// The permission to create.
    type Create: Permission;
    /// The permission to update.
    type Update: Permission;
    /// The permission to delete.
    type Delete: Permission;

    /// The container.
    const CONTAINER: &'static str;
    /// The fixed words.
    const WORDS: Words;

    /// The writable part, which merge patches apply to.
    fn writable(&self) -> Self::Write;

    /// What a client is shown.
    fn view(record: Record<Self>) -> Self::View;

    /// The payload of the resource's events, besides actor and changes.
    fn event(record: &Record<Self>) -> Value;

    /// Where the organization's resources of the type are; another place in a container with buckets.
    fn partition(organization_id: OrganizationId) -> Partition {
        Partition::organization(organization_id)
    }

    /// Which documents of the type the list shows.
    fn listed() -> Option<Filter> {
        None
    }

    /// Checks the input, claims what is unique, and makes the resource. Runs in the transaction of the create.
    fn create(
        service: &Self::Service,
        who: &Allowed<Self::Create>,
        unit: &mut Unit,
        id: Self::Id,
        write: Self::Write,
    ) -> impl Future<Output = Result<Self>> + Send;

    /// Checks the change and makes the new state. Runs in the transaction of the update.
    fn update(
        service: &Self::Service,
        who: &Allowed<Self::Update>,
        unit: &mut Unit,
        before: &Record<Self>,
        write: Self::Write,
    ) -> impl Future<Output = Result<Self>> + Send;

    /// Checks whether the resource may go and gives back what it claimed. Runs in the transaction of the delete.
    fn delete(
        service: &Self::Service,
        who: &Allowed<Self::Delete>,
        unit: &mut Unit,
        before: &Record<Self>,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// Routes of a resource.
pub trait Crud<S>: Sized {
    /// Adds list, create, get, update and delete.
    fn crud<R: Resource<Service = S>>(self) -> Self {
        self.crud_list::<R>().crud_create::<R>().crud_get::<R>().crud_update::<R>().crud_delete::<R>()
    }
    /// Adds the list; for a resource that has some of the others in its own way, as are the next four.
    fn crud_list<R: Resource<Service = S>>(self) -> Self;
    /// Adds the create.
    fn crud_create<R: Resource<Service = S>>(self) -> Self;
    /// Adds the get.
    fn crud_get<R: Resource<Service = S>>(self) -> Self;
    /// Adds the update.
    fn crud_update<R: Resource<Service = S>>(self) -> Self;
    /// Adds the delete.
    fn crud_delete<R: Resource<Service = S>>(self) -> Self;
}

impl<S: Clone + Send + Sync + 'static> Crud<S> for Routes<S> {
    fn crud_list<R: Resource<Service = S>>(self) -> Self {
        let Words { plural, path, operations, .. } = R::WORDS;
        self.get(path, operations[0], &format!("List {plural}"), list::<R>)
    }

    fn crud_create<R: Resource<Service = S>>(self) -> Self {
        let Words { singular, path, operations, .. } = R::WORDS;
        self.post(path, operations[1], &format!("Create a {singular}"), create::<R>)
            .problems([Code::AlreadyExists, Code::LimitReached])
    }

    fn crud_get<R: Resource<Service = S>>(self) -> Self {
        let Words { singular, item, operations, .. } = R::WORDS;
        self.get(item, operations[2], &format!("Read a {singular}"), get::<R>)
    }

    fn crud_update<R: Resource<Service = S>>(self) -> Self {
        let Words { singular, item, operations, .. } = R::WORDS;
        self.patch(item, operations[3], &format!("Change a {singular}"), update::<R>)
            .problems([Code::AlreadyExists, Code::Immutable])
    }

    fn crud_delete<R: Resource<Service = S>>(self) -> Self {
        let Words { singular, item, operations, .. } = R::WORDS;
        self.delete(item, operations[4], &format!("Delete a {singular}"), delete::<R>).problems([
            Code::InUse,
            Code::NotEmpty,
            Code::InvalidState,
        ])
    }
}

/// The repository of a resource, for the store that a request's runtime has.
pub fn repository<R: Resource>(runtime: &coder_middleware::Runtime) -> Repository<R> {
    Repository::new(runtime.store.clone(), R::CONTAINER)
}

async fn list<R: Resource>(who: Allowed<R::Read>, list: List<R::Filters>) -> Result<Json<PageOf<R::View>>> {
    let repository = repository::<R>(who.context().runtime());
    let page = list.page(&repository, &R::partition(who.organization_id), R::listed()).await?;
    let items = page.items.into_iter().map(R::view).collect();
    Ok(Json(PageOf { items, next_cursor: page.next_cursor }))
}

async fn get<R: Resource>(who: Allowed<R::Read>, Path(id): Path<R::Id>) -> Result<Json<R::View>> {
    let repository = repository::<R>(who.context().runtime());
    let record = repository.get(&R::partition(who.organization_id), &id.to_string()).await?;
    Ok(Json(R::view(record)))
}

async fn create<R: Resource>(
    State(service): State<R::Service>,
    who: Allowed<R::Create>,
    Body(write): Body<R::Write>,
) -> Result<Created<R::View>> {
    let mut unit = who.begin(R::CONTAINER, R::partition(who.organization_id)).await?;
    let id = who.context().runtime().ambient.new_id::<R::Id>();
    let resource = R::create(&service, &who, &mut unit, id, write).await?;
    let record = unit.create(id.to_string(), resource)?;
    unit.emit(R::WORDS.events[0], &record.meta.id, R::event(&record));
    let location = format!("{}/{}", who.context().path(), record.meta.id);
    unit.commit(Created { location, body: R::view(record) }).await
}

async fn update<R: Resource>(
    State(service): State<R::Service>,
    who: Allowed<R::Update>,
    Path(id): Path<R::Id>,
    if_match: IfMatch,
    patch: Patch<R::Write>,
) -> Result<Json<R::View>> {
    let repository = repository::<R>(who.context().runtime());
    let before = repository.get(&R::partition(who.organization_id), &id.to_string()).await?;
    if_match.check(&before.meta)?;
    let write = patch.apply(&before.data.writable())?;
    let mut unit = who.begin(R::CONTAINER, R::partition(who.organization_id)).await?;
    let resource = R::update(&service, &who, &mut unit, &before, write).await?;
    let (record, changes) = replace(&mut unit, &before, resource)?;
    unit.emit_changes(R::WORDS.events[1], &record.meta.id, R::event(&record), &changes);
    unit.commit(Json(R::view(record))).await
}

async fn delete<R: Resource>(
    State(service): State<R::Service>,
    who: Allowed<R::Delete>,
    Path(id): Path<R::Id>,
    if_match: IfMatch,
) -> Result<NoContent> {
    let repository = repository::<R>(who.context().runtime());
    let before = repository.get(&R::partition(who.organization_id), &id.to_string()).await?;
    if_match.check(&before.meta)?;
    let mut unit = who.begin(R::CONTAINER, R::partition(who.organization_id)).await?;
    R::delete(&service, &who, &mut unit, &before).await?;
    unit.delete(&before)?;
    unit.emit(R::WORDS.events[2], &before.meta.id, R::event(&before));
    unit.commit(NoContent).await
}

fn replace<R: Resource>(
    unit: &mut Unit,
    before: &Record<R>,
    resource: R,
) -> Result<(Record<R>, Vec<Change>)> {
    unit.replace(before, resource)
}
