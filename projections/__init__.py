"""The read side of one region: read models, acknowledgements, and the answer.

`projector` applies commits to the read models and acknowledges them to their origin;
`responder` turns complete acknowledgements into Event B; `sweeper` repairs what was lost.
The log is the truth here too: a stream record or a message only says where to look.
"""
