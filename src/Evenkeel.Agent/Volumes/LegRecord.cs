using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Core.Model;
using Evenkeel.Raid.Devices;

namespace Evenkeel.Agent.Volumes;

/// <summary>
/// What a leg remembers beside its share of the array, in its first 4 KiB, which md's metadata 1.2 leaves free: so it can neither be
/// lost without the data nor outlive them.
/// </summary>
/// <param name="Epoch">The highest under which it was written.</param>
/// <param name="Data">The data's committed name; null before it was told one.</param>
/// <param name="Fresh">The file was made by us and reads as zeros, but for what a volume that was never finished left.</param>
internal sealed record LegRecord(string Volume, Epoch Epoch, string? Data, bool Fresh)
{
    /// <summary>
    /// The latest epoch under which it was written behind others: whoever goes on with this leg alone goes on without what it lacked.
    /// Null before. A later writer that had it in sync does not take it back; that costs no more than a whole copy later.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Epoch? Lagged { get; init; }

    /// <summary>
    /// Where the events of its array must begin when it is gone on with: beyond those of all that were written under the epoch under
    /// which it lagged. Those then count as older than what is written here, however far they had counted. 0: anywhere.
    /// </summary>
    [JsonIgnore]
    public ulong ForkEvents => Lagged is { } epoch ? (((ulong)Math.Min(epoch.Incarnation, 255) << 23) + (ulong)Math.Min(epoch.Number, (1 << 23) - 1) + 1) << 31 : 0;

    /// <summary>Nobody but the leg's own server writes below here.</summary>
    public const int Room = 4096;
    private const int Copy = 512;
    private const string Magic = "evenkeel-leg-1 ";

    /// <summary>Null when there is none: a device that never was a leg. Of two copies, the one of the later epoch.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static async Task<LegRecord?> ReadAsync(IMemberDevice device)
    {
        var bytes = new byte[2 * Copy];
        await device.ReadAsync(0, bytes).ConfigureAwait(false);
        return new[] { Parse(bytes.AsSpan(0, Copy)), Parse(bytes.AsSpan(Copy)) }.OfType<LegRecord>().OrderByDescending(record => record.Epoch).FirstOrDefault();
    }

    /// <summary>Returns once it is on stable storage: one copy after the other, so that a power cut damages at most one.</summary>
    public async Task WriteAsync(IMemberDevice device)
    {
        var body = JsonSerializer.Serialize(this, LegRecordJson.Default.LegRecord);
        var text = Encoding.UTF8.GetBytes($"{Magic}{Sum(body)} {body}\n");
        if (text.Length > Copy)
        {
            throw new IOException("a leg's record has no room");
        }

        var sector = new byte[Copy];
        text.CopyTo(sector, 0);
        for (var copy = 0; copy < 2; copy++)
        {
            await device.WriteAsync(copy * Copy, sector).ConfigureAwait(false);
            await device.FlushAsync().ConfigureAwait(false);
        }
    }

    internal static LegRecord? Parse(ReadOnlySpan<byte> sector)
    {
        var end = sector.IndexOf((byte)'\n');
        if (end < 0 || !sector.StartsWith(Encoding.ASCII.GetBytes(Magic)))
        {
            return null;
        }

        var words = Encoding.UTF8.GetString(sector[..end]).Split(' ', 3);
        try
        {
            return words.Length == 3 && words[1] == Sum(words[2]) ? JsonSerializer.Deserialize(words[2], LegRecordJson.Default.LegRecord) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string Sum(string body) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(body)))[..16];
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(LegRecord))]
internal sealed partial class LegRecordJson : JsonSerializerContext;
