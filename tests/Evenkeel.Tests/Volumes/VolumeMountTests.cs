using System.Globalization;
using Evenkeel.Agent.Volumes;
using Xunit;

namespace Evenkeel.Tests.Volumes;

/// <summary>Who keeps a volume's file system from being unmounted is named.</summary>
public sealed class VolumeMountTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("ek-held-").FullName;

    [Fact]
    public void HoldersOf_ADirectory_NamesWhoHasAFileOpenThere()
    {
        Assert.Empty(VolumeMount.HoldersOf(_root));
        using var file = File.Create(Path.Combine(_root, "open"));
        Assert.Contains($"({Environment.ProcessId.ToString(CultureInfo.InvariantCulture)})", Assert.Single(VolumeMount.HoldersOf(_root)), StringComparison.Ordinal);
        Assert.Empty(VolumeMount.HoldersOf(_root[..^1]));
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);
}
