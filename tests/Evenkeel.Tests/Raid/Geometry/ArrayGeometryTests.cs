using CsCheck;
using Evenkeel.Raid.Geometry;
using Xunit;

namespace Evenkeel.Tests.Raid.Geometry;

public sealed class ArrayGeometryTests
{
    [Fact]
    public void StripeMember_Raid5OfFour_IsLeftSymmetric()
    {
        var geometry = new ArrayGeometry(RaidLevel.Raid5, 4, 8, 80);
        // Columns are members; digits are logical chunks of the array, P the parity: as `man 4 md` draws left-symmetric.
        Assert.Equal(["0 1 2 P", "4 5 P 3", "8 P 6 7", "P 9 10 11"], Enumerable.Range(0, 4).Select(row => Draw(geometry, row)));
    }

    [Fact]
    public void StripeMember_Raid6OfFive_PutsQAfterPAndDataAfterQ()
    {
        var geometry = new ArrayGeometry(RaidLevel.Raid6, 5, 8, 80);
        Assert.Equal(["Q 0 1 2 P", "3 4 5 P Q", "7 8 P Q 6"], Enumerable.Range(0, 3).Select(row => Draw(geometry, row)));
    }

    [Fact]
    public void CopyOf_Raid10OfFiveMembers_WrapsToTheNextRow()
    {
        var geometry = new ArrayGeometry(RaidLevel.Raid10, 5, 8, 80);
        Assert.Equal(new Cell(4, 3, 5), geometry.CopyOf(19, 0));
        Assert.Equal(new Cell(0, 11, 5), geometry.CopyOf(19, 1));
    }

    [Fact]
    public void StripeIndex_AnyParityLayout_InvertsStripeMember() =>
        Gen.Select(Gen.Bool, Gen.Int[4, 20], Gen.Int[0, 1000]).Sample((six, members, row) =>
        {
            var geometry = new ArrayGeometry(six ? RaidLevel.Raid6 : RaidLevel.Raid5, members, 8, 8);
            var held = Enumerable.Range(0, members).Select(index => geometry.StripeMember(row, index)).ToList();
            Assert.Equal(members, held.Distinct().Count());
            for (var index = 0; index < members; index++) Assert.Equal(index, geometry.StripeIndex(row, held[index]));
        });

    [Fact]
    public void ArraySector_AnyCopy_InvertsCopyOf() =>
        Gen.Select(Gen.OneOf(Gen.Const(RaidLevel.Raid0), Gen.Const(RaidLevel.Raid1), Gen.Const(RaidLevel.Raid10)), Gen.Int[4, 9], Gen.Int[1, 20], Gen.Int[0, 100_000])
            .Sample((level, members, rows, pick) =>
            {
                var geometry = new ArrayGeometry(level, members, 8, rows * 8);
                var sector = pick % geometry.Sectors;
                for (var copy = 0; copy < geometry.Copies; copy++)
                {
                    var cell = geometry.CopyOf(sector, copy);
                    Assert.InRange(cell.Sector, 0, geometry.MemberSectors - 1);
                    Assert.Equal(sector, geometry.ArraySector(cell.Member, cell.Sector));
                }
            });

    [Theory]
    [InlineData(RaidLevel.Raid0, 4, 384)]
    [InlineData(RaidLevel.Raid1, 3, 103)]
    [InlineData(RaidLevel.Raid5, 4, 288)]
    [InlineData(RaidLevel.Raid6, 6, 384)]
    [InlineData(RaidLevel.Raid10, 4, 192)]
    public void Sectors_EachLevel_FollowTheGlossary(RaidLevel level, int members, long sectors) =>
        Assert.Equal(sectors, new ArrayGeometry(level, members, 8, 103).Sectors);

    [Theory]
    [InlineData(RaidLevel.Raid5, 2)]
    [InlineData(RaidLevel.Raid6, 3)]
    [InlineData(RaidLevel.Raid10, 3)]
    [InlineData((RaidLevel)4, 4)]
    public void Constructor_LevelThatCannotBeBuilt_SaysSo(RaidLevel level, int members) =>
        Assert.Throws<ArgumentException>(() => new ArrayGeometry(level, members, 8, 80));

    private static string Draw(ArrayGeometry geometry, long row) => string.Join(' ', Enumerable.Range(0, geometry.Members).Select(member =>
    {
        var index = geometry.StripeIndex(row, member);
        return index < geometry.DataMembers ? $"{row * geometry.DataMembers + index}" : index == geometry.DataMembers ? "P" : "Q";
    }));
}
