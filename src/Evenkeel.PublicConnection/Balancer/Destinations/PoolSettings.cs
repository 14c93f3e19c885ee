using Evenkeel.Core.Model;

namespace Evenkeel.PublicConnection.Balancer.Destinations;

/// <summary>What a pool needs of its balancer's options; only routes of <paramref name="Protocol"/> are its own.</summary>
internal sealed record PoolSettings(PublishProtocol Protocol, TimeSpan ConnectTimeout, TimeSpan SlowStart);
