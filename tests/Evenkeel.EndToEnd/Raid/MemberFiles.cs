using Evenkeel.Raid.Array;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;

namespace Evenkeel.EndToEnd.Raid;

/// <summary>Sparse files in a directory of their own, as members.</summary>
internal sealed class MemberFiles : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("evenkeel-raid-").FullName;

    public MemberFiles(int count, long bytes)
    {
        for (var i = 0; i < count; i++)
        {
            using var file = File.Create(Path.Combine(_directory, $"m{i}.img"));
            file.SetLength(bytes);
            Paths.Add(file.Name);
        }
    }

    public List<string> Paths { get; } = [];

    public string Beside(string name) => Path.Combine(_directory, name);

    public IReadOnlyList<IMemberDevice> Open(IEnumerable<string>? paths = null) => [.. (paths ?? Paths).Select(path => FileDevice.Open(path))];

    public Task<RaidArray> CreateAsync(RaidLevel level, int slots, string name = "peer") => ArrayCreation.CreateAsync(
        new ArrayDefinition { Level = level, Name = name, Slots = slots, ChunkBytes = 64 * 1024, AssumeClean = true }, Open());

    public static async Task<byte[]> FillAsync(RaidArray array, int seed)
    {
        var content = new byte[array.Length];
        new Random(seed).NextBytes(content);
        for (var at = 0; at < content.Length; at += 1 << 20) await array.WriteAsync(at, content.AsMemory(at, Math.Min(1 << 20, content.Length - at)));
        await array.FlushAsync();
        return content;
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);
}
