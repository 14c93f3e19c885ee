using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>Counters since the balancer began, as of one moment; readers subtract.</summary>
public sealed record BalancerStatistics(IReadOnlyList<DoorStatistics> Doors, IReadOnlyList<DestinationStatistics> Destinations);

/// <param name="Requests">Accepted since this door was opened.</param>
/// <param name="Unserved">Answered with 502, 503 or 504, whoever's word that was.</param>
/// <param name="Waiting">In line for a place at an instance now.</param>
public sealed record DoorStatistics(PublicEndpoint Listen, string? Service, long Requests, long Unserved, int Waiting);

/// <param name="Table">What the route table says of it.</param>
/// <param name="Healthy">What our own checks say.</param>
/// <param name="Ejected">It gets nothing for a moment because of what requests met.</param>
/// <param name="Requests">Attempts sent there, retries included.</param>
/// <param name="Failures">Attempts that failed or were cancelled there.</param>
/// <param name="Retries">Attempts there that had failed elsewhere before.</param>
/// <param name="P50">Time until response headers that half of the attempts did not pass; <paramref name="P99"/> likewise.</param>
public sealed record DestinationStatistics(
    string Service, NodeName Node, PrivateEndpoint Endpoint, DestinationState Table, bool Healthy, bool Ejected,
    int InFlight, long Requests, long Failures, long Retries, TimeSpan P50, TimeSpan P99);
