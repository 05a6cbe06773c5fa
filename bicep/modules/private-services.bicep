// Private endpoints for a list of services.

@description('Region of the endpoints.')
param location string

@description('Subnet in which they take their addresses.')
param subnetId string

@description('Names of the DNS zones by key, as network.bicep gives them.')
param zones object

@description('What is reached: `name`, `targetId`, `service`, and the key of its `zone`.')
param services array

@description('Tags of every resource.')
param tags object

module endpoint 'private-endpoint.bicep' = [for one in services: {
  name: 'endpoint-${one.name}'
  params: {
    location: location
    name: one.name
    targetId: one.targetId
    service: one.service
    zoneName: zones[one.zone]
    subnetId: subnetId
    tags: tags
  }
}]
