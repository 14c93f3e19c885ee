using Evenkeel.Raid.Devices;
using Xunit;

namespace Evenkeel.EndToEnd.Raid;

/// <summary>A disk with somebody's data is not written, neither as a member of an array nor as a leg.</summary>
[Trait("needs", "root")]
public sealed class MountedDeviceTests : IAsyncLifetime
{
    private readonly string _root = Directory.CreateTempSubdirectory("ek-mounted-").FullName;
    private string _loop = "";

    private string Mount => Path.Combine(_root, "mnt");

    public async ValueTask InitializeAsync()
    {
        var file = Path.Combine(_root, "disk");
        await using (var disk = File.Create(file)) disk.SetLength(32 << 20);
        _loop = (await Tool.RunAsync("losetup", ["--find", "--show", file])).Trim();
    }

    [Fact]
    public async Task BlockDevice_Mounted_IsNotOpenedForWriting()
    {
        await Tool.RunAsync("mkfs.ext4", ["-q", _loop]);
        Directory.CreateDirectory(Mount);
        await Tool.RunAsync("mount", [_loop, Mount]);
        try
        {
            var refused = Assert.Throws<IOException>(() => FileDevice.Open(_loop));
            Assert.Contains("is in use", refused.Message, StringComparison.Ordinal);
            await using var looks = FileDevice.Open(_loop, readOnly: true);
        }
        finally
        {
            await Tool.RunAsync("umount", [Mount]);
        }

        await using var free = FileDevice.Open(_loop);
        // While it is held nobody mounts it.
        await Assert.ThrowsAnyAsync<Exception>(() => Tool.RunAsync("mount", [_loop, Mount]));
    }

    public async ValueTask DisposeAsync()
    {
        await Tool.RunAsync("losetup", ["--detach", _loop]);
        Directory.Delete(_root, recursive: true);
    }
}
