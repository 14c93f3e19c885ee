namespace Evenkeel.Raid.PartialParity;

/// <summary>
/// One write of some columns of one row. Its partial parity is the XOR of those columns of the data blocks that the write leaves alone:
/// with the blocks that it changes, in whatever state they are found, it gives a parity that agrees.
/// </summary>
/// <param name="ArraySector">The first array sector written.</param>
/// <param name="PartialBytes">Bytes of partial parity, one for each column; 0 if every data block is written.</param>
/// <param name="DataBytes">Bytes written: columns times blocks.</param>
/// <param name="ParitySlot">The slot that holds the row's parity, and this log.</param>
/// <param name="Checksum">CRC-32C of the partial parity.</param>
internal sealed record LogEntry(long ArraySector, int PartialBytes, int DataBytes, int ParitySlot, uint Checksum);
