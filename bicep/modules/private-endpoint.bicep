// A private endpoint: one resource, reached under one DNS zone, from inside the network only.

@description('Region of the endpoint.')
param location string

@description('Name of the endpoint, unique in the resource group.')
param name string

@description('Resource that is reached.')
param targetId string

@description('Which of its services, such as `blob` or `sites`.')
param service string

@description('Name of the private DNS zone for that service, in this resource group.')
param zoneName string

@description('Subnet in which the endpoint takes its address.')
param subnetId string

@description('Tags of every resource.')
param tags object

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' existing = { name: zoneName }

resource endpoint 'Microsoft.Network/privateEndpoints@2025-01-01' = {
  name: 'pe-${name}'
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    privateLinkServiceConnections: [
      { name: name, properties: { privateLinkServiceId: targetId, groupIds: [service] } }
    ]
  }
  resource names 'privateDnsZoneGroups' = {
    name: 'default'
    properties: { privateDnsZoneConfigs: [{ name: service, properties: { privateDnsZoneId: zone.id } }] }
  }
}
