using System.Text.RegularExpressions;
using Evenkeel.Raid.Geometry;
using Xunit;

namespace Evenkeel.EndToEnd.Raid;

/// <summary>What mdadm makes of members that we wrote. Needs Debian's mdadm; no kernel support.</summary>
[Trait("Peer", "mdadm"), Trait("Machine", "shared")]
public sealed class MdadmTests
{
    [Theory]
    [InlineData(RaidLevel.Raid0, 3, "raid0", "")]
    [InlineData(RaidLevel.Raid1, 2, "raid1", "")]
    [InlineData(RaidLevel.Raid5, 4, "raid5", "Layout : left-symmetric")]
    [InlineData(RaidLevel.Raid6, 5, "raid6", "Layout : left-symmetric")]
    [InlineData(RaidLevel.Raid10, 4, "raid10", "Layout : near=2")]
    public async Task Examine_OurMembers_AreCleanAndComplete(RaidLevel level, int members, string name, string layout)
    {
        using var files = new MemberFiles(members, 16 << 20);
        var array = await files.CreateAsync(level, members);
        await MemberFiles.FillAsync(array, 1);
        await array.StopAsync();
        for (var i = 0; i < members; i++)
        {
            var text = await Tool.RunAsync("mdadm", "--examine", files.Paths[i]);
            Assert.Contains("Version : 1.2", text, StringComparison.Ordinal);
            Assert.Contains($"Raid Level : {name}", text, StringComparison.Ordinal);
            Assert.Contains(layout, text, StringComparison.Ordinal);
            Assert.Contains("State : clean", text, StringComparison.Ordinal);
            Assert.Contains($"Device Role : Active device {i}", text, StringComparison.Ordinal);
            Assert.Contains($"Array State : {new string('A', members)} ", text, StringComparison.Ordinal);
            Assert.Matches(new Regex(@"Checksum : [0-9a-f]+ - correct"), text);
        }
    }

    [Fact]
    public async Task Examine_FailedMember_IsMissingInTheOthers()
    {
        using var files = new MemberFiles(4, 16 << 20);
        var array = await files.CreateAsync(RaidLevel.Raid5, 4);
        await array.FailAsync(array.Members[2]);
        await array.WriteAsync(0, new byte[4096]);
        await array.StopAsync();
        Assert.Contains("Array State : AA.A ", await Tool.RunAsync("mdadm", "--examine", files.Paths[0]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ExamineBitmap_OurMember_CountsTheBitsThatAreSet()
    {
        using var files = new MemberFiles(2, 16 << 20);
        var array = await files.CreateAsync(RaidLevel.Raid1, 2);
        await array.WriteAsync(0, new byte[4096]);
        await array.WriteAsync(8 << 20, new byte[4096]);
        // Copied before the bits are settled, as after a power cut; mdadm reads bitmaps from block devices only.
        var copy = files.Beside("copy.img");
        await Tool.RunAsync("cp", files.Paths[0], copy);
        await array.StopAsync();
        var loop = (await Tool.RunAsync("losetup", "--find", "--show", copy)).Trim();
        try
        {
            var text = await Tool.RunAsync("mdadm", "--examine-bitmap", loop);
            Assert.Contains("Version : 4", text, StringComparison.Ordinal);
            Assert.Matches(new Regex(@"Bitmap : \d+ bits \(chunks\), 2 dirty"), text);
        }
        finally
        {
            await Tool.RunAsync("losetup", "--detach", loop);
        }
    }
}
