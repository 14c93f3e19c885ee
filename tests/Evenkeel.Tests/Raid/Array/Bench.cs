using System.Collections.Concurrent;
using Evenkeel.Raid.Array;
using Evenkeel.Raid.Geometry;
using Xunit;

namespace Evenkeel.Tests.Raid.Array;

/// <summary>An array over simulated disks, with what an honest disk in its place would hold.</summary>
internal sealed class Bench
{
    public const int DiskBytes = 2 * 1024 * 1024;
    public const int DataBytes = 320 * 1024;

    public required RaidArray Array { get; set; }

    public required List<SimulatedDisk> Disks { get; init; }

    public required PowerSupply Power { get; init; }

    /// <summary>The array tells them on threads of its own.</summary>
    public ConcurrentQueue<ArrayEvent> Events { get; } = [];

    public static async Task<Bench> CreateAsync(RaidLevel level, int members, int spares = 0, PowerSupply? power = null, bool bitmap = true, bool assumeClean = true,
        int chunkBytes = 4096, int dataBytes = DataBytes, bool log = false)
    {
        power ??= new PowerSupply(1);
        var disks = Enumerable.Range(0, members + spares).Select(i => new SimulatedDisk(power, DiskBytes, $"disk{i}")).ToList();
        var definition = new ArrayDefinition
        {
            Level = level, Name = "test", Slots = members, ChunkBytes = chunkBytes, MemberBytes = dataBytes, AssumeClean = assumeClean, Bitmap = bitmap, PartialParityLog = log,
        };
        var bench = new Bench { Array = null!, Disks = disks, Power = power };
        bench.Array = await ArrayCreation.CreateAsync(definition, disks, new ArrayOptions { OnEvent = bench.Events.Enqueue });
        return bench;
    }

    public static Task<RaidArray> OpenAsync(IEnumerable<SimulatedDisk> disks, bool force = false) =>
        ArrayAssembly.OpenAsync([.. disks], new ArrayOptions { Force = force });

    public static async Task<byte[]> ReadAllAsync(RaidArray array)
    {
        var content = new byte[array.Length];
        await array.ReadAsync(0, content);
        return content;
    }

    /// <summary>Fills the whole array in pieces of odd sizes and returns what it must hold now.</summary>
    public async Task<byte[]> FillAsync(int seed)
    {
        var random = new Random(seed);
        var content = new byte[Array.Length];
        random.NextBytes(content);
        for (var at = 0; at < content.Length;)
        {
            var length = Math.Min(content.Length - at, random.Next(1, 60) * 512);
            await Array.WriteAsync(at, content.AsMemory(at, length));
            at += length;
        }

        return content;
    }

    public static async Task AssertReadsAsync(byte[] expected, RaidArray array) =>
        Assert.True((await ReadAllAsync(array)).AsSpan().SequenceEqual(expected), "the array's content is wrong");
}
