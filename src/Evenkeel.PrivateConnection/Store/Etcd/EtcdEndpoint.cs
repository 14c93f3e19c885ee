using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <summary>Where a member answers clients. With <paramref name="Node"/>, its certificate must name that node.</summary>
public sealed record EtcdEndpoint(PrivateEndpoint Address, NodeName? Node = null);
