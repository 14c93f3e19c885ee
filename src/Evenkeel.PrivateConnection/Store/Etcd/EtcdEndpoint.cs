using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <summary>Where a member answers clients. With <paramref name="Node"/>, its certificate must name that node.</summary>
/// <param name="Tls">Of an etcd that is not the cluster's own: instead of the cluster's certificates.</param>
public sealed record EtcdEndpoint(PrivateEndpoint Address, NodeName? Node = null, EtcdTls? Tls = null);
