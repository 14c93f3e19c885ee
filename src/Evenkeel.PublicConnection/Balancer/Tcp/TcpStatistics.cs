using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;

namespace Evenkeel.PublicConnection.Balancer.Tcp;

/// <summary>Counters since the balancer began, as of one moment; readers subtract.</summary>
public sealed record TcpStatistics(IReadOnlyList<TcpDoorStatistics> Doors, IReadOnlyList<TcpDestinationStatistics> Destinations);

/// <param name="Unserved">Clients that were let in and for whom no destination could be reached in time.</param>
public sealed record TcpDoorStatistics(PublicEndpoint Listen, long Accepted, long Unserved);

/// <param name="Open">Connections there now, those being made included.</param>
/// <param name="Connections">Tried there.</param>
/// <param name="Failures">Of these, refused or not taken in time.</param>
/// <param name="Retries">Of these, after another destination had failed.</param>
public sealed record TcpDestinationStatistics(
    string Service, NodeName Node, PrivateEndpoint Endpoint, DestinationState Table, bool Healthy, bool Ejected,
    int Open, long Connections, long Failures, long Retries, long BytesTo, long BytesBack);
