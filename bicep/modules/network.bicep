// The private network of production: subnets for apps, private endpoints and the gateway, and the private DNS
// zones under which the services are found from inside.

@description('Region of the network.')
param location string

@description('Tags of every resource.')
param tags object

@description('Addresses of the network; a /16.')
param addressPrefix string = '10.20.0.0/16'

// Private endpoints answer under these names. `environment()` knows the storage suffix of the cloud at hand.
var zoneNames = {
  blob: 'privatelink.blob.${environment().suffixes.storage}'
  cache: 'privatelink.redis.azure.net'
  documents: 'privatelink.documents.azure.com'
  messaging: 'privatelink.servicebus.windows.net'
  sites: 'privatelink.azurewebsites.net'
  table: 'privatelink.table.${environment().suffixes.storage}'
  vault: 'privatelink.vaultcore.azure.net'
}
var zoneKeys = objectKeys(zoneNames)

// Nothing comes in from the internet: clients reach the gateway's own front end, not this network.
resource closed 'Microsoft.Network/networkSecurityGroups@2025-01-01' = {
  name: 'nsg-coder'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'deny-internet'
        properties: {
          priority: 4000
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: 'Internet'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2025-01-01' = {
  name: 'vnet-coder'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressPrefix] }
    subnets: [
      {
        // All function apps share it; each instance takes an address.
        name: 'apps'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 21, 0)
          networkSecurityGroup: { id: closed.id }
          delegations: [{ name: 'apps', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 24, 8)
          networkSecurityGroup: { id: closed.id }
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
      {
        name: 'gateway'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 24, 9)
          networkSecurityGroup: { id: closed.id }
          delegations: [{ name: 'gateway', properties: { serviceName: 'Microsoft.Web/serverFarms' } }]
        }
      }
    ]
  }
  resource apps 'subnets' existing = { name: 'apps' }
  resource endpoints 'subnets' existing = { name: 'endpoints' }
  resource gateway 'subnets' existing = { name: 'gateway' }
}

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = [for key in zoneKeys: {
  name: zoneNames[key]
  location: 'global'
  tags: tags
}]

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for (key, i) in zoneKeys: {
  parent: zone[i]
  name: 'coder'
  location: 'global'
  tags: tags
  properties: { registrationEnabled: false, virtualNetwork: { id: network.id } }
}]

@description('Subnet of the function apps.')
output appSubnetId string = network::apps.id
@description('Subnet of the private endpoints.')
output endpointSubnetId string = network::endpoints.id
@description('Subnet from which the gateway calls the apps.')
output gatewaySubnetId string = network::gateway.id
@description('Addresses of that subnet: the gateway calls from one of them.')
output gatewayAddresses string = cidrSubnet(addressPrefix, 24, 9)
@description('Names of the DNS zones: `blob`, `cache`, `documents`, `messaging`, `sites`, `table`, `vault`.')
output zones object = zoneNames
