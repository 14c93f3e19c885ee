using System.Collections.Immutable;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Raid.Array;

/// <summary>A device that joins a running array as a spare: laid out like the members that are there.</summary>
internal static class NewMember
{
    public static ArrayMember Create(ArrayMetadata metadata, Guid id, string name, IMemberDevice device)
    {
        var pattern = metadata.Members.First(member => member.State != MemberState.Faulty).Superblock;
        var dataSectors = device.Length / 512 - (long)pattern.DataOffset;
        if (dataSectors < metadata.Geometry.MemberSectors)
            throw new ArgumentException($"{device.Name} is too small: {device.Length} bytes, {((long)pattern.DataOffset + metadata.Geometry.MemberSectors) * 512} are needed.");
        var number = Enumerable.Range(0, int.MaxValue).First(number => metadata.Members.All(member => member.Superblock.DeviceNumber != number));
        var roles = pattern.Roles;
        while (roles.Length <= number) roles = roles.Add(MdSuperblock.SpareRole);
        foreach (var member in metadata.Members) member.Superblock = member.Superblock with { Roles = Longer(member.Superblock.Roles, roles.Length) };
        var superblock = pattern with
        {
            ArrayId = id,
            Name = name,
            DeviceNumber = (uint)number,
            DeviceId = Guid.NewGuid(),
            DataSize = (ulong)dataSectors,
            Roles = roles,
            CorrectedReads = 0,
            DeviceFlags = 0,
            BadBlockSectors = 0,
            BadBlockOffset = 0,
            Features = pattern.Features & ~MdFeatures.BadBlocks,
        };
        return new ArrayMember(device, superblock, BadBlockLog.Empty) { State = MemberState.Spare };
    }

    private static ImmutableArray<ushort> Longer(ImmutableArray<ushort> roles, int length)
    {
        while (roles.Length < length) roles = roles.Add(MdSuperblock.SpareRole);
        return roles;
    }
}
