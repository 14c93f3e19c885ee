using System.Text.Json;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop.Instances;

/// <summary>
/// Tells whether what runs is what the file asks for: a fingerprint (FNV-1a, 64 bits, draft-eastlake-fnv) of the driver's and
/// the health check's settings. Equal on every agent, for all read the same committed text. Never zero.
/// </summary>
internal static class InstanceVersion
{
    private const ulong Basis = 14695981039346656037, Prime = 1099511628211;

    public static ulong Of(ServiceSpec service)
    {
        var hash = Add(Basis, JsonSerializer.SerializeToUtf8Bytes(service.Driver, StateJson.Default.DriverSpec));
        if (service.Health is { } health) hash = Add(hash, JsonSerializer.SerializeToUtf8Bytes(health, StateJson.Default.HealthSpec));
        return hash == 0 ? 1 : hash;
    }

    private static ulong Add(ulong hash, ReadOnlySpan<byte> bytes)
    {
        foreach (var one in bytes) hash = (hash ^ one) * Prime;
        return hash;
    }
}
